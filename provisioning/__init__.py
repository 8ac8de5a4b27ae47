"""Takes bare Linux hosts to a vLLM API that systemd keeps alive."""
