# Recipes for daily work; `.ci/run` needs none of them.

# List the recipes.
default:
    @just --list

# The whole check of a change, as CI runs it.
check:
    .ci/run

# The tests, the documentation's examples among them.
test *arguments:
    cargo test --release --workspace {{arguments}}

# Arrows between crates, file lengths, unsafe, dependencies, links, decision records.
house:
    cargo run --quiet --release -p xtask -- house

# Kill, fail and interrupt training at every system call (needs Linux and strace; about ten minutes).
crash:
    cargo run --quiet --release -p xtask -- crash

# Licences, sources, advisories and doubled versions (needs cargo-deny).
deny:
    cargo deny check

# All benchmarks; name a package for one: `just bench -p sequela-nn`.
bench *arguments='--workspace':
    cargo bench {{arguments}}

# Make the outside oracles again (needs Python with PyTorch, Keras and scikit-learn) and run the tests that use them.
parity python='python3':
    {{python}} testdata/eval/make_eval.py
    git diff --stat -- testdata
    cargo test --release --workspace parity
    cargo test --release -p sequela-eval --test oracle

# Draw the sample pictures into a folder, to be looked at.
pictures folder='target/pictures':
    mkdir -p {{folder}}
    for name in loss loss-linear short forecast bars; do \
        cargo run --quiet --release -p sequela-eval --example draw_pictures -- $name > {{folder}}/$name.svg; \
    done
