//! Moving data: whole tensors, chosen rows, written rows.

use lorikeet_kernels::Backend;

use crate::{
    harness::on_every_backend,
    matrix::{Matrix, assert_close, finite_differences},
};

on_every_backend!(
    what_goes_up_comes_down,
    a_duplicate_has_a_life_of_its_own,
    gathered_rows_are_the_rows,
    the_backward_of_gather_is_the_slope,
    rows_are_written_in_place,
    columns_are_taken_apart_and_joined,
);

fn what_goes_up_comes_down<B: Backend>(b: &B) {
    for (rows, cols) in [(0, 4), (1, 1), (3, 33)] {
        let x = Matrix::random(1, rows, cols);
        let mut t = x.upload(b);
        assert_eq!(b.shape(&t), (rows, cols));
        assert_eq!(b.download(&t).unwrap(), x.to_f32());
        let other = Matrix::random(2, rows, cols);
        b.overwrite(&mut t, &other.to_f32()).unwrap();
        assert_eq!(b.download(&t).unwrap(), other.to_f32());
        assert_eq!(b.download(&b.zeros(rows, cols).unwrap()).unwrap(), vec![0.0; rows * cols]);
    }
}

fn a_duplicate_has_a_life_of_its_own<B: Backend>(b: &B) {
    let x = Matrix::random(1, 4, 5);
    let original = x.upload(b);
    let mut copy = b.duplicate(&original).unwrap();
    b.write_rows(&mut copy, &[1, 2], &Matrix::random(2, 2, 5).upload(b)).unwrap();
    b.scale(&mut copy, 2.0).unwrap();
    assert_eq!(b.download(&original).unwrap(), x.to_f32());
    assert_ne!(b.download(&copy).unwrap(), x.to_f32());
}

fn gathered(table: &Matrix, rows: &[u32]) -> Matrix {
    Matrix::from_fn(rows.len(), table.cols, |n, c| table.at(rows[n] as usize, c))
}

fn gathered_rows_are_the_rows<B: Backend>(b: &B) {
    let table = Matrix::random(1, 9, 33);
    let repeated: Vec<u32> = (0..65).map(|n| n * n % 9).collect();
    for rows in [&[][..], &[8], &[3, 0, 3], &repeated] {
        let y = b.gather_rows(&table.upload(b), rows).unwrap();
        assert_close(b, "gathered", &y, &gathered(&table, rows), 0.0);
    }
}

fn the_backward_of_gather_is_the_slope<B: Backend>(b: &B) {
    let rows = [4, 0, 4, 4, 2];
    let (table, dy, g0) = (Matrix::random(1, 6, 7), Matrix::random(2, 5, 7), Matrix::random(3, 6, 7));
    let mut g = g0.upload(b);
    b.scatter_add_rows(&mut g, &rows, &dy.upload(b)).unwrap();
    let slope = finite_differences(&table, |table| gathered(table, &rows).dot(&dy));
    assert_close(b, "gradient of a table", &g, &g0.zip(&slope, |a, b| a + b), 1e-5);
    b.scatter_add_rows(&mut g, &[], &b.zeros(0, 7).unwrap()).unwrap();
    assert_close(b, "nothing added", &g, &g0.zip(&slope, |a, b| a + b), 1e-5);
}

fn rows_are_written_in_place<B: Backend>(b: &B) {
    let (before, x) = (Matrix::random(1, 8, 5), Matrix::random(2, 3, 5));
    for rows in [[0, 1, 2], [2, 3, 4], [5, 6, 7], [7, 0, 1], [6, 4, 2]] {
        let mut target = before.upload(b);
        b.write_rows(&mut target, &rows, &x.upload(b)).unwrap();
        let place = |n: usize| rows.iter().position(|row| *row as usize == n);
        let expected = Matrix::from_fn(8, 5, |n, c| place(n).map_or(before.at(n, c), |at| x.at(at, c)));
        assert_close(b, "written", &target, &expected, 0.0);
    }
}

fn columns_are_taken_apart_and_joined<B: Backend>(b: &B) {
    for (rows, widths) in [(1, vec![3]), (70, vec![5, 1, 16]), (130, vec![64, 0, 32])] {
        let x = Matrix::random(1, rows, widths.iter().sum());
        let t = x.upload(b);
        let ends = widths.iter().scan(0, |end, width| {
            *end += width;
            Some(*end - width..*end)
        });
        let ranges: Vec<_> = ends.collect();
        let parts: Vec<_> = ranges.iter().map(|r| b.columns(&t, r.clone()).unwrap()).collect();
        for (part, range) in parts.iter().zip(&ranges) {
            let expected = Matrix::from_fn(rows, range.len(), |n, c| x.at(n, range.start + c));
            assert_close(b, &format!("columns {range:?}"), part, &expected, 0.0);
        }
        let joined = b.join_columns(&parts.iter().collect::<Vec<_>>()).unwrap();
        assert_close(b, "joined", &joined, &x, 0.0);
    }
}
