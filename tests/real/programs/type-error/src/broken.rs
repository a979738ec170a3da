pub fn half(n: u32) -> u64 {
    n / 2
}
