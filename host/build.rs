//! Rebuilds when a migration changes, since migrations are compiled into the program.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
