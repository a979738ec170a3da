//! Does not compile, on purpose: several errors and a warning, with text that is not ASCII.

mod broken;

fn main() {
    let zahl: u32 = "zwölf";
    let unused = itoa::Buffer::new();
    println!("{}", broken::half(zahl, 1));
    undefined_function();
}
