SELECT repeat(repeat('x', 1024), 1024);
