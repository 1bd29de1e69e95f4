"""A flow of one's own, from a CSV file of a school's rooms into the table rooms.rooms."""
