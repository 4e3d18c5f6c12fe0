"""Import products from CSV and XLSX files, as jobs (docs/imports.md).

    request:  receive the file, read its header            `uploaded_file`, `services`
    worker:   validate all rows and stage them             `rows`, `validation`, `staging`
              compare the staged rows with the products    `batches`
              and write the differences, batch by batch

The file and the staged rows are in the database, so that a worker on any machine continues where a
killed one stopped.
"""
