use std::io::Read;

use clap::Parser;
use serde::{Deserialize, Serialize};

/// Prints the people of at least a certain age.
#[derive(Parser)]
#[command(version, about)]
struct Options {
    /// Least age
    #[arg(short, long, default_value_t = 18)]
    age: u32,
    /// How to print
    #[arg(long, value_enum, default_value_t = Form::Text)]
    form: Form,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Person {
    full_name: String,
    age: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let people: Vec<Person> = serde_json::from_str(&text)?;
    let old: Vec<Person> = people.into_iter().filter(|p| p.age >= options.age).collect();
    match options.form {
        Form::Json => println!("{}", serde_json::to_string(&old)?),
        Form::Text => {
            for p in &old {
                println!("{} ({})", p.full_name, p.age);
            }
        }
    }
    Ok(())
}
