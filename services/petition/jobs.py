"""What is done for petitions in the background."""

from libs.jobs.reconciliation import reporting

JOBS = (reporting("reconcile_petitions", "tally_petition"),)
