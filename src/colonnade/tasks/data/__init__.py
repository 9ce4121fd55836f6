"""Any labelled data as a task."""
