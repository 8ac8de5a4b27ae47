"""Real machines for the tests: Debian under systemd-nspawn, with sshd and systemd as PID 1."""
