"""The product file and the mails that its changes cause."""

import pytest

from cin7_emarsys.sandbox.emarsys import CREDENTIALS

from .conftest import Emarsys, Shop

HEADER = "item,title,link,image,category,available,price,c_low_stock"


def row(sku: str, available: bool = True, price: str = "10.00", stock: str = "9") -> str:
    flag = "true" if available else "false"
    return f"{sku},Loaf,https://s.example.com/{sku},https://s.example.com/{sku}.jpg,Food > Bread,{flag},{price},{stock}"


def product_file(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def pull(emarsys: Emarsys, shop: Shop, *rows: str) -> dict[str, object]:
    shop.text = product_file(*rows)
    answer: dict[str, object] = emarsys.control("catalog/pull", {"url": shop.url})
    return answer


def kinds(emarsys: Emarsys) -> list[tuple[str, str]]:
    return sorted({(mail["kind"], mail["sku"]) for mail in emarsys.judge("mails")["mails"]})


def test_a_file_replaces_the_whole_catalogue(emarsys: Emarsys, shop: Shop) -> None:
    assert pull(emarsys, shop, row("A"), row("B"))["version"] == 1
    answer = pull(emarsys, shop, row("B"))
    assert (answer["status"], answer["version"], answer["rows"], answer["errors"]) == ("imported", 2, 1, [])
    catalogue = emarsys.judge("catalogue")
    assert (catalogue["version"], catalogue["total"], catalogue["items"][0]["item"]) == (2, 1, "B")
    assert catalogue["items"][0]["c_low_stock"] == "9"
    assert [each["status"] for each in emarsys.judge("imports")["imports"]] == ["imported", "imported"]


def test_an_unchanged_file_is_not_downloaded_again(emarsys: Emarsys, shop: Shop) -> None:
    shop.etag = '"v1"'
    pull(emarsys, shop, row("A"))
    assert pull(emarsys, shop, row("A"))["status"] == "unchanged"
    assert shop.seen_etags == ["", '"v1"']
    assert emarsys.judge("catalogue")["version"] == 1


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_failed_download_keeps_the_old_catalogue(emarsys: Emarsys, shop: Shop, status: int) -> None:
    pull(emarsys, shop, row("A"))
    shop.status = status
    answer = pull(emarsys, shop, row("B"))
    assert (answer["status"], answer["errors"], answer["version"]) == ("rejected", [f"HTTP {status}"], 1)


def test_the_download_uses_basic_auth_and_follows_no_redirect(emarsys: Emarsys, shop: Shop) -> None:
    answer = emarsys.control("catalog/pull", {"url": shop.url, "user": "x", "password": "y"})
    assert answer["errors"] == ["HTTP 401"]
    assert emarsys.control("catalog/pull", {"url": "http://127.0.0.1:1/x"})["status"] == "rejected"
    assert emarsys.control("catalog/pull", {"url": "file:///etc/hosts"})["status"] == "rejected"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "the file is empty"),
        (product_file(row("A"), header=HEADER.replace("title", "name")), "missing column title"),
        (product_file(row("A"), header=HEADER.replace("c_low_stock", "stock")), "unknown column stock"),
        (product_file(row("A"), header=HEADER.replace("c_low_stock", "price")), "duplicate column price"),
        (product_file(row("A")).replace(",", ";"), "missing column item"),
        (product_file(row("A"), row("A")), "duplicate item A"),
        (product_file(row("A"), "B,Loaf"), "2 cells instead of 8"),
        (product_file(row("")), "item is empty"),
        (product_file(row("A").replace("Loaf", "")), "title is empty"),
        (product_file(row("A").replace("Loaf", '"Lo\naf"')), "newline inside a field"),
        (product_file(row("A").replace("Loaf", '"Lo"af')), "line 2"),
        (product_file(row("A").replace("Loaf", "Loaf 🍞")), "4-byte"),
        (product_file(row("A").replace("true", "yes")), "available is neither"),
        (product_file(row("A", price="10,00").replace("10,00", '"10,00"')), "price is not a price"),
        (product_file(row("A", price="")), "price is empty"),
        (product_file(row("A").replace("https://s.example.com/A,", "/A,")), "link is not an absolute URL"),
        (product_file(row("A").replace(".jpg", ".webp")), "image is WEBP"),
    ],
)
def test_a_faulty_file_is_rejected_whole(emarsys: Emarsys, shop: Shop, text: str, error: str) -> None:
    pull(emarsys, shop, row("OLD"))
    shop.text = text
    answer = emarsys.control("catalog/pull", {"url": shop.url})
    assert answer["status"] == "rejected"
    assert any(error in each for each in answer["errors"]), answer["errors"]
    assert [item["item"] for item in emarsys.judge("catalogue")["items"]] == ["OLD"]


def test_a_discontinued_item_may_have_no_price_and_a_file_may_begin_with_a_bom(emarsys: Emarsys, shop: Shop) -> None:
    assert pull(emarsys, shop, row("A", available=False, price=""))["status"] == "imported"
    shop.text = "\ufeff" + shop.text
    assert emarsys.control("catalog/pull", {"url": shop.url})["status"] == "imported"
    emarsys.control("switches", {"catalogue_bom": "reject"})
    assert emarsys.control("catalog/pull", {"url": shop.url})["status"] == "rejected"


def test_a_header_without_rows_empties_the_catalogue(emarsys: Emarsys, shop: Shop) -> None:
    pull(emarsys, shop, row("A"))
    assert pull(emarsys, shop)["rows"] == 0
    assert emarsys.judge("catalogue")["total"] == 0


def test_the_first_catalogue_causes_no_mail(emarsys: Emarsys, shop: Shop) -> None:
    assert pull(emarsys, shop, row("A"))["tactics"] is not None
    assert emarsys.judge("mails")["total"] == 0


def test_back_in_stock_is_a_flip_from_false_to_true(emarsys: Emarsys, shop: Shop) -> None:
    pull(emarsys, shop, row("A", available=False), row("B"))
    pull(emarsys, shop, row("A"), row("B", available=False))
    pull(emarsys, shop, row("A"), row("B", available=False))
    assert kinds(emarsys) == [("back_in_stock", "A")]


def test_an_item_that_comes_back_is_back_in_stock_but_a_new_one_is_not(emarsys: Emarsys, shop: Shop) -> None:
    pull(emarsys, shop, row("A"))
    pull(emarsys, shop)
    pull(emarsys, shop, row("A"), row("NEW"))
    assert kinds(emarsys) == [("back_in_stock", "A")]


def test_low_stock_is_a_fall_below_the_threshold(emarsys: Emarsys, shop: Shop) -> None:
    pull(emarsys, shop, row("A", stock="5"), row("B", stock="4"), row("C", stock="5"))
    pull(emarsys, shop, row("A", stock="4"), row("B", stock="3"), row("C", stock="5.5"), row("NEW", stock="1"))
    assert kinds(emarsys) == [("low_stock", "A")]


@pytest.mark.parametrize("stock", ["", "few"])
def test_one_cell_that_is_no_number_stops_the_low_stock_mails(emarsys: Emarsys, shop: Shop, stock: str) -> None:
    pull(emarsys, shop, row("A", stock="9"), row("B"))
    tactics = pull(emarsys, shop, row("A", stock="1"), row("B", stock=stock))["tactics"]
    assert isinstance(tactics, dict)
    assert "c_low_stock is not a number for 1 items" in tactics["errors"][0]
    assert kinds(emarsys) == []


def test_price_drop_is_ten_percent_on_available_items(emarsys: Emarsys, shop: Shop) -> None:
    pull(emarsys, shop, *(row(sku) for sku in "ABC"))
    pull(emarsys, shop, row("A", price="9.00"), row("B", price="9.01"), row("C", price="1.00", available=False))
    assert kinds(emarsys) == [("price_drop", "A")]


def test_mails_go_to_contacts_with_their_opt_in_of_that_moment(emarsys: Emarsys, shop: Shop) -> None:
    pull(emarsys, shop, row("A", available=False))
    pull(emarsys, shop, row("A"))
    emarsys.upsert({"3": "ana@example.com", "31": "1"})
    pull(emarsys, shop, row("A", available=False))
    pull(emarsys, shop, row("A"))
    emarsys.upsert({"3": "ana@example.com", "31": "2"})
    seen = [(mail["email"], mail["opt_in"]) for mail in emarsys.judge("mails")["mails"]]
    assert seen == [("subscriber@example.com", None), ("ana@example.com", "1")]
    assert set(emarsys.judge("mails")["mails"][0]) == {"kind", "sku", "email", "sent_at", "opt_in"}


def test_a_contact_gets_the_ten_dearest_products(emarsys: Emarsys, shop: Shop) -> None:
    emarsys.upsert({"3": "ana@example.com"})
    pull(emarsys, shop, *(row(f"S{number}", available=False, price=str(number)) for number in range(1, 15)))
    pull(emarsys, shop, *(row(f"S{number}", price=str(number)) for number in range(1, 15)))
    skus = [mail["sku"] for mail in emarsys.judge("mails")["mails"]]
    assert skus == [f"S{number}" for number in range(14, 4, -1)]


def test_an_item_interests_at_most_three_contacts(emarsys: Emarsys, shop: Shop) -> None:
    emarsys.upsert(*({"3": f"c{number}@example.com"} for number in range(100)))
    skus = [f"S{number}" for number in range(30)]
    pull(emarsys, shop, *(row(sku, available=False) for sku in skus))
    pull(emarsys, shop, *(row(sku) for sku in skus))
    sent = [mail["sku"] for mail in emarsys.judge("mails")["mails"]]
    assert {sent.count(sku) for sku in skus} == {1, 2, 3}


def test_a_flap_between_two_checks_is_invisible(emarsys: Emarsys, shop: Shop) -> None:
    emarsys.control("switches", {"tactic_check": "manual"})
    for available in (True, False, True):
        pull(emarsys, shop, row("A", available=available))
    report = emarsys.control("tactics/check")
    assert report["compared"] == [1, 3]
    assert emarsys.judge("mails")["total"] == 0


def test_a_pushed_file_replaces_the_catalogue_too(emarsys: Emarsys) -> None:
    answer = emarsys.upload("catalog", product_file(row("A", available=False)))
    assert answer.status_code == 200
    refused = emarsys.upload("catalog", product_file(row("A"), row("A")))
    assert refused.status_code == 400
    assert "duplicate item" in refused.text
    assert emarsys.upload("catalog", "", Authorization="Bearer wrong").status_code == 401
    emarsys.upload("catalog", product_file(row("A")), Authorization=f"bearer {CREDENTIALS['EMARSYS_SALES_TOKEN']}")
    assert kinds(emarsys) == [("back_in_stock", "A")]


def test_pushed_files_may_stay_outside_the_comparison(emarsys: Emarsys) -> None:
    emarsys.control("switches", {"push_feeds_tactics": False})
    emarsys.upload("catalog", product_file(row("A", available=False)))
    emarsys.upload("catalog", product_file(row("A")))
    assert emarsys.control("tactics/check")["mails"]["back_in_stock"] == 0
