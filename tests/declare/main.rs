//! Declarations: formats, the book, the offline check, and files on a real file system.

mod book;
mod formats;
mod properties;
mod texts;
