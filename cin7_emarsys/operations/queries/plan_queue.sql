-- Sales whose details wait to be read: those that hold no stock yet, and the others. One row.
select count(*) filter (priority = 0) as unallocated, count(*) filter (priority <> 0) as others from raw.sale_queue
