"""What talks to a service, and the demo model that answers."""
