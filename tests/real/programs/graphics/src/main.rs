//! The dependencies of a game: some hundreds of crates, of which `cargo check` is what is tried.
fn main() {
    let instance = wgpu::Instance::new(&wgpu::InstanceDescriptor::default());
    println!("{} adapters", instance.enumerate_adapters(wgpu::Backends::all()).len());
    println!("{:?}", winit::dpi::LogicalSize::new(640, 480));
}
