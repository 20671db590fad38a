"""One loader for each dataset; `mnemic.bench.registry` lists them."""
