"""`init`: asks what is wanted, looks at the hosts, and writes a commented inventory. It never overwrites one."""
