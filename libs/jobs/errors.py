"""What goes wrong in jobs and nowhere else."""


class ComputeFailed(Exception):
    """The process that computed for a job died, such as for want of memory."""


class WorkerDied(Exception):
    """The worker that ran the job gave no sign of life for too long."""
