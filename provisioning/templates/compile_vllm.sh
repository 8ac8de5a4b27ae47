# Compiles vLLM, as the account that owns the environment. What was done before it was cut off is not done again.
set -eu
python={{ quote(python) }}
program={{ quote(program) }}
mkdir -p {{ quote(folder) }}
cd {{ quote(folder) }}
# It may hold passwords of sources: nobody else reads it.
(umask 077; rm -f config.json; cat >config.json) <<'END_OF_CONFIG'
{{ config }}
END_OF_CONFIG
{% include 'install_with_torch.sh' %}
{{ tools }}/bin/python -E -s "$program" fetch config.json
install_with_torch -r requirements.txt {% for requirement in public %}{{ quote(requirement) }} {% endfor %} || exit 1
PATH={{ quote(python.rpartition('/')[0]) }}:$PATH "$python" -E -s "$program" wheel config.json
