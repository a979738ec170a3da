fn main() {
    let files = protox::compile(["proto/yard.proto"], ["proto"]).expect("the schema");
    println!("cargo:rerun-if-changed=proto/yard.proto");
    prost_build::Config::new().compile_fds(files).expect("the code");
}
