//! What can go wrong below the models: shapes that do not fit, a device that refuses.

/// The result of an operation.
pub type Result<T> = std::result::Result<T, KernelError>;

/// An operation that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Two operands whose shapes do not go together.
    #[error("`{op}` cannot combine shapes {left:?} and {right:?}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// Rows and columns of the first operand.
        left: (usize, usize),
        /// Rows and columns of the second operand.
        right: (usize, usize),
    },
    /// Data whose length does not match the shape it was given for.
    #[error("{rows} x {cols} numbers were announced but {found} were given")]
    Length {
        /// Announced rows.
        rows: usize,
        /// Announced columns.
        cols: usize,
        /// Numbers found.
        found: usize,
    },
    /// Rows that cannot be cut into blocks.
    #[error(
        "`{precision}` stores numbers in blocks of {block}, and rows of {cols} numbers are no whole number of them"
    )]
    Blocks {
        /// The precision.
        precision: &'static str,
        /// Numbers of a block.
        block: usize,
        /// Numbers of a row.
        cols: usize,
    },
    /// An index beyond the table it points into.
    #[error("`{op}` was given the index {index} for a table of {rows} rows")]
    Index {
        /// The operation.
        op: &'static str,
        /// The index.
        index: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// A frozen weight where a buffer that can change was needed, or the other way round.
    #[error("`{op}` needs a tensor of 32-bit floats that it owns")]
    NotOwned {
        /// The operation.
        op: &'static str,
    },
    /// The worker threads could not be started.
    #[error("{threads} worker threads could not be started: {reason}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// The system's reason.
        reason: String,
    },
    /// The device library refused.
    #[error("the device refused an operation: {0}")]
    Device(#[from] candle_core::Error),
}
