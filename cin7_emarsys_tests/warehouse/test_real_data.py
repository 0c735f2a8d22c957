"""Real retail history through the models: to the penny what one plain query over the file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cin7_emarsys_tests.warehouse.world import World

FILE = Path(__file__).parents[3] / "shared" / "data" / "online_retail_ii.parquet"
SINCE = "2011-11-20"
HISTORY = f"""
    select *, upper(trim(stock_code)) as sku, invoice_no like 'C%' as is_note,
        regexp_matches(invoice_no, '^[0-9]') and quantity > 0 as is_sale
    from read_parquet('{FILE}')
    where sheet = '2010-2011' and invoice_date >= timestamp '{SINCE}'
"""
# As the replay of history has it: one paid invoice for each sale, a stand-alone note for each cancellation.
FILL = f"""
create temp table history as {HISTORY};
insert into raw.products by name
select md5(sku) as ID, sku as SKU, coalesce(any_value(trim(description)), sku) as Name, 'Stock' as Type,
    'Active' as Status, true as Sellable, max(unit_price) as PriceTier1
from history group by sku;
insert into raw.customers by name
select distinct 'k' || customer_id as ID, 'Customer ' || customer_id as Name, [{{
    'ID': null, 'Name': null, 'Email': 'c' || customer_id || '@example.com', 'Phone': null, 'MobilePhone': null,
    'Default': true, 'MarketingConsent': 0, 'IncludeInEmail': false
}}] as Contacts
from history where customer_id is not null;
create temp table documents as
select invoice_no, any_value(customer_id) as customer_id, cast(min(invoice_date) as date) as dated_on,
    any_value(is_note) as is_note, sum(case when is_note then -quantity else quantity end * unit_price) as total,
    list({{
        'ProductID': md5(sku), 'SKU': sku, 'Name': description, 'Price': unit_price, 'Discount': 0, 'Tax': 0,
        'Quantity': case when is_note then -quantity else quantity end, 'Total': 0
    }} order by line_no) as lines
from history where is_note or is_sale group by invoice_no;
insert into raw.sale_headers by name
select invoice_no as SaleID, 'SO-' || invoice_no as OrderNumber, 'COMPLETED' as Status, 'AUTHORISED' as OrderStatus,
    coalesce('k' || customer_id, 'guests') as CustomerID, coalesce('Customer ' || customer_id, 'Guests') as Customer,
    true as _in_first_scan, dated_on as OrderDate, dated_on as Updated
from documents where not is_note;
insert into raw.sales by name
select invoice_no as ID, 'c' || customer_id || '@example.com' as Email, 'COMPLETED' as Status,
    coalesce('k' || customer_id, 'guests') as CustomerID, 1 as CurrencyRate, dated_on as SaleOrderDate,
    [{{
        'TaskID': 't' || invoice_no, 'InvoiceNumber': invoice_no, 'Status': 'PAID', 'InvoiceDate': dated_on,
        'CurrencyConversionRate': 1, 'Lines': lines, 'AdditionalCharges': [], 'Payments': [],
        'TotalBeforeTax': total, 'Tax': 0, 'Total': total
    }}] as Invoices, dated_on as _header_updated
from documents where not is_note;
insert into raw.credit_note_headers by name
select invoice_no as SaleID, invoice_no as CreditNoteNumber, 'AUTHORISED' as CreditNoteStatus,
    coalesce('k' || customer_id, 'guests') as CustomerID, coalesce('Customer ' || customer_id, 'Guests') as Customer
from documents where is_note;
insert into raw.credit_notes by name
select invoice_no as SaleID, [{{
    'TaskID': 't' || invoice_no, 'CreditNoteInvoiceNumber': null, 'CreditNoteNumber': invoice_no,
    'Status': 'AUTHORISED', 'CreditNoteDate': dated_on, 'CreditNoteConversionRate': 1, 'Lines': lines,
    'AdditionalCharges': [], 'Refunds': [], 'TotalBeforeTax': total, 'Tax': 0, 'Total': total
}}] as CreditNotes
from documents where is_note;
"""


@pytest.fixture(scope="module")
def replayed() -> World:
    if not FILE.exists():
        pytest.skip(f"the retail history is not here: {FILE}")
    world = World(customers={"generic_customers": ["Guests"]}, orders={"history_sales_data": True})
    world.connection.execute(FILL)
    return world.build()


def asked(world: World, query: str) -> list[tuple[object, ...]]:
    return world.connection.execute(query).fetchall()


def test_each_customer_to_the_penny(replayed: World) -> None:
    plain = f"""
        select 'c' || customer_id || '@example.com' as person, coalesce(sum(quantity * unit_price) filter (is_sale), 0),
            coalesce(-sum(quantity * unit_price) filter (is_note), 0),
            coalesce(sum(quantity * unit_price) filter (is_sale or is_note), 0),
            count(distinct invoice_no) filter (is_sale and unit_price > 0)
        from ({HISTORY}) where customer_id is not null group by all order by all
    """
    ours = "select person_id, gross, refunded, ltv, order_count from mart.customer_value order by all"
    assert asked(replayed, ours) == asked(replayed, plain)
    assert len(asked(replayed, ours)) > 1000


def test_what_would_be_sent_and_what_stays(replayed: World) -> None:
    plain = f"""
        select sum(quantity * unit_price) filter (customer_id is not null),
            sum(quantity * unit_price), count(*), count(*) filter (customer_id is null)
        from ({HISTORY}) where is_sale or is_note
    """
    ours = """
        select (select sum(price) from mart.sales_lines),
            (select sum(case document_kind when 'invoice' then net else -net end) from mart.documents),
            (select count(*) from mart.sales_lines) + (select count(*) from mart.excluded where flow = 'sales'),
            (select count(*) from mart.excluded where flow = 'sales' and rule = 'no_person')
    """
    assert asked(replayed, ours) == asked(replayed, plain)
    assert asked(replayed, "from mart.document_faults") == []
    assert asked(replayed, "from mart.order_events") == []
