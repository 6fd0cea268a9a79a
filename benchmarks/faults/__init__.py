"""Every way a command or a Lava network was made to fail, and what it left behind."""
