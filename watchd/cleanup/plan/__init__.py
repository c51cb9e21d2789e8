"""Planning: a pure function from a look at the engine to a plan. Time is a parameter."""
