"""What an operator tells about itself: logs, and what is said of failures nobody foresaw."""
