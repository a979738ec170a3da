//! An extension module for Python: a cdylib whose names are found when it is loaded.
use pyo3::prelude::*;

#[pyfunction]
fn longest(words: Vec<String>) -> Option<String> {
    words.into_iter().max_by_key(|w| w.len())
}

#[pyclass]
struct Counter {
    n: u64,
}

#[pymethods]
impl Counter {
    #[new]
    fn new() -> Self {
        Counter { n: 0 }
    }

    fn up(&mut self, by: u64) -> u64 {
        self.n += by;
        self.n
    }
}

#[pymodule]
fn python(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(longest, m)?)?;
    m.add_class::<Counter>()
}
