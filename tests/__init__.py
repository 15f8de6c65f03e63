"""What a member, an admin and an operator get, and that it holds when things break."""
