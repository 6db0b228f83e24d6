"""Where weights are: the only place that moves them between disk, RAM and GPU."""
