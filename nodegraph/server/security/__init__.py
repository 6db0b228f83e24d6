"""Who may ask, and from where: tokens, sessions, hosts, origins, headers and limits."""
