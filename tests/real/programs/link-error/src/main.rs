//! Compiles and does not link, on purpose.

extern "C" {
    fn dray_fixture_defined_nowhere(n: i32) -> i32;
}

fn main() {
    let n = unsafe { dray_fixture_defined_nowhere(7) };
    println!("{}", itoa::Buffer::new().format(n));
}
