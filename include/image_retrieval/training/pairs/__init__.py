"""Learning from pictures with texts: text sides for models of pictures alone, and fine-tuning of dual encoders."""
