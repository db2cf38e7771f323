"""What goes wrong in jobs and nowhere else."""


class ComputeFailed(Exception):
    """The process that computed for a job died, such as for want of memory."""
