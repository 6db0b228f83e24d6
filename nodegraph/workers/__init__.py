"""The processes beside the server: one knows the plugins and checks, one a device runs jobs."""
