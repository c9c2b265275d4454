"""Values of hyper-parameters: a search by short runs, and a confirmation of its winner with fresh seeds."""
