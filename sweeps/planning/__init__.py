"""What a sweep would train and cost, before it does."""
