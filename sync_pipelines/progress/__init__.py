"""Learning progress: the rules by which it is merged, and the library with which a device keeps it offline."""
