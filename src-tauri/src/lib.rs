#![cfg(feature="desktop")]
