# Downloads a model, as the account that serves. What was done before it was cut off is not done again.
set -eu
folder={{ quote(folder) }}
mkdir -p "$folder/.vllm-provisioning"
# It may hold a token: nobody else reads it, and the program deletes it.
config=$(mktemp "$folder/.vllm-provisioning/config.XXXXXX")
cat >"$config" <<'END_OF_CONFIG'
{{ config }}
END_OF_CONFIG
{{ quote(python) }} -E -s {{ quote(program) }} "$config"
{% if verification %}
printf '%s\n' {{ quote(verification) }} >"$folder/.vllm-provisioning/verified"
{% endif %}
