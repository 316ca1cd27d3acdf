"""What would be: the planner's own answer to a changed cluster or a later time, and what differs. Pure."""
