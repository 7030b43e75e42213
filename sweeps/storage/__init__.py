"""What is kept, and where: files at any address, locks, the store, and keeping it tidy."""
