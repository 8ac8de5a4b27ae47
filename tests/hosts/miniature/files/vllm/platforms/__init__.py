class current_platform:
    device_type = "cpu"
