# Downloads a model, as the account that serves. What was done before it was cut off is not done again.
set -eu
folder={{ quote(folder) }}
# It may hold a token: nobody else reads a standard input.
{{ quote(python) }} -E -s -X utf8 {{ quote(program) }} - <<'END_OF_CONFIG'
{{ config }}
END_OF_CONFIG
{% if verification %}
printf '%s\n' {{ quote(verification) }} >"$folder/.vllm-provisioning/verified"
{% endif %}
