-- Records of the ledger's copy by flow. Parameters: $rowids.
select flow, count(*) as records
from delivery.records
where rowid in (select unnest($rowids))
group by flow
order by flow
