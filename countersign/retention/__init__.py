"""Evidence kept beside the root, write-once, until the law and the auditors have no more use for it."""
