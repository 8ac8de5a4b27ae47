"""Models copied from host to host: who shares (share), who takes (taker), the ways between them."""
