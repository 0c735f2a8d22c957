-- title: Stand-alone credit notes that could not be read: {rows}
-- assets: mart.refunds
-- severity: warn
-- key: number
-- owner: finance
-- means: Refunds are not taken off, so these customers look more valuable than they are.
-- next_step: Open them in Cin7; until they are read, the customers' values are too high by them.
select headers.CreditNoteNumber as number, headers.CustomerID as customer_id, headers.Updated as updated_at
from raw.credit_note_headers as headers
where headers.CreditNoteStatus = 'AUTHORISED'
    and not exists (
        from staging.credit_notes as notes
        where notes.sale_id = lower(headers.SaleID)
            and coalesce(notes.number, '') in ('', trim(headers.CreditNoteNumber))
    )
    and not exists (
        from staging.sales as sales where sales.sale_id = lower(headers.SaleID) and sales.is_listed
    )
