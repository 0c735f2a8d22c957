-- What the models read and do not make themselves: the tables of other rooms, and (last) the state of our own tables
-- before a build. Only the columns that the models use. Types are checked against the models when they are imported;
-- a build makes what is missing, empty, for the time of the build.

create table raw.me (Company VARCHAR, Currency VARCHAR, TimeZone VARCHAR, LockDate DATE);
create table raw.locations (
    ID VARCHAR, Name VARCHAR, IsDefault BOOLEAN, IsDeprecated BOOLEAN,
    Bins STRUCT(ID VARCHAR, Name VARCHAR, IsDeprecated BOOLEAN, IsStaging BOOLEAN)[],
    FixedAssetsLocation BOOLEAN, ParentID VARCHAR, ParentName VARCHAR, IsShopfloor BOOLEAN, IsCoMan BOOLEAN,
    IsStaging BOOLEAN
);
create table raw.products (
    ID VARCHAR, SKU VARCHAR, Name VARCHAR, Category VARCHAR, Brand VARCHAR, Type VARCHAR, Status VARCHAR,
    Sellable BOOLEAN, DropShipMode VARCHAR, UOM VARCHAR, Barcode VARCHAR,
    PriceTier1 DECIMAL(18,4), PriceTier2 DECIMAL(18,4), PriceTier3 DECIMAL(18,4), PriceTier4 DECIMAL(18,4),
    PriceTier5 DECIMAL(18,4), PriceTier6 DECIMAL(18,4), PriceTier7 DECIMAL(18,4), PriceTier8 DECIMAL(18,4),
    PriceTier9 DECIMAL(18,4), PriceTier10 DECIMAL(18,4),
    ShortDescription VARCHAR, Description VARCHAR, Tags VARCHAR, BillOfMaterial BOOLEAN, AutoAssembly BOOLEAN,
    QuantityToProduce DECIMAL(18,4),
    BillOfMaterialsProducts STRUCT(
        ComponentProductID VARCHAR, ProductCode VARCHAR, Quantity DECIMAL(18,4), WastagePercent DECIMAL(18,4),
        WastageQuantity DECIMAL(18,4)
    )[],
    Attachments STRUCT(ID VARCHAR, ContentType VARCHAR, FileName VARCHAR, DownloadUrl VARCHAR)[],
    LastModifiedOn TIMESTAMP, _missing_since TIMESTAMP
);
create table raw.product_families (
    ID VARCHAR, SKU VARCHAR, Name VARCHAR,
    Products STRUCT(ID VARCHAR, SKU VARCHAR, Name VARCHAR, Option1 VARCHAR, Option2 VARCHAR, Option3 VARCHAR)[],
    Option1Name VARCHAR, Option2Name VARCHAR, Option3Name VARCHAR
);
create table raw.customers (
    ID VARCHAR, Name VARCHAR, DisplayName VARCHAR, Currency VARCHAR, PriceTier VARCHAR, Tags VARCHAR, Status VARCHAR,
    CustomerParentID VARCHAR, LastModifiedOn TIMESTAMP,
    Contacts STRUCT(
        ID VARCHAR, Name VARCHAR, Email VARCHAR, Phone VARCHAR, MobilePhone VARCHAR, "Default" BOOLEAN,
        MarketingConsent INTEGER, IncludeInEmail BOOLEAN
    )[],
    _missing_since TIMESTAMP
);
create table raw.sale_headers (
    SaleID VARCHAR, OrderNumber VARCHAR, Status VARCHAR, OrderDate DATE, Customer VARCHAR, CustomerID VARCHAR,
    InvoiceAmount DECIMAL(18,4), BaseCurrency VARCHAR, CustomerCurrency VARCHAR, Updated TIMESTAMP,
    OrderStatus VARCHAR, FulFilmentStatus VARCHAR, Type VARCHAR, SourceChannel VARCHAR, OrderLocationID VARCHAR,
    _in_first_scan BOOLEAN, _erased BOOLEAN
);
create table raw.sales (
    ID VARCHAR, Customer VARCHAR, CustomerID VARCHAR, Contact VARCHAR, Phone VARCHAR, Email VARCHAR,
    BaseCurrency VARCHAR, CustomerCurrency VARCHAR, CurrencyRate DECIMAL(24,14), TaxCalculation VARCHAR,
    PriceTier VARCHAR, Location VARCHAR, SaleOrderDate DATE, LastModifiedOn TIMESTAMP, Status VARCHAR,
    ServiceOnly BOOLEAN, Type VARCHAR, SourceChannel VARCHAR,
    "Order" STRUCT(
        SaleOrderNumber VARCHAR, Status VARCHAR,
        Lines STRUCT(
            ProductID VARCHAR, SKU VARCHAR, Name VARCHAR, Quantity DECIMAL(18,4), Price DECIMAL(18,4),
            Discount DECIMAL(18,4), Tax DECIMAL(18,4), Total DECIMAL(18,4), DropShip BOOLEAN, Backorder BOOLEAN,
            BackorderQuantity DECIMAL(18,4)
        )[]
    ),
    Fulfilments STRUCT(
        TaskID VARCHAR, FulfillmentNumber INTEGER, LinkedInvoiceNumber VARCHAR, FulFilmentStatus VARCHAR,
        Pick STRUCT(
            Status VARCHAR,
            Lines STRUCT(
                ProductID VARCHAR, SKU VARCHAR, Location VARCHAR, LocationID VARCHAR, Quantity DECIMAL(18,4),
                BatchSN VARCHAR, ExpiryDate DATE
            )[]
        ),
        Pack STRUCT(Status VARCHAR),
        Ship STRUCT(
            Status VARCHAR,
            Lines STRUCT(
                ID VARCHAR, ShipmentDate DATE, Carrier VARCHAR, Boxes VARCHAR, TrackingNumber VARCHAR,
                TrackingURL VARCHAR, IsShipped BOOLEAN
            )[]
        )
    )[],
    Invoices STRUCT(
        TaskID VARCHAR, InvoiceNumber VARCHAR, Status VARCHAR, InvoiceDate DATE, CurrencyConversionRate DECIMAL(24,14),
        Lines STRUCT(
            ProductID VARCHAR, SKU VARCHAR, Name VARCHAR, Quantity DECIMAL(18,4), Price DECIMAL(18,4),
            Discount DECIMAL(18,4), Tax DECIMAL(18,4), Total DECIMAL(18,4)
        )[],
        AdditionalCharges STRUCT(
            Description VARCHAR, Quantity DECIMAL(18,4), Price DECIMAL(18,4), Discount DECIMAL(18,4),
            Tax DECIMAL(18,4), Total DECIMAL(18,4)
        )[],
        Payments STRUCT(
            ID VARCHAR, Reference VARCHAR, Amount DECIMAL(18,4), DatePaid DATE, CurrencyRate DECIMAL(24,14)
        )[],
        TotalBeforeTax DECIMAL(18,4), Tax DECIMAL(18,4), Total DECIMAL(18,4)
    )[],
    CreditNotes STRUCT(
        TaskID VARCHAR, CreditNoteInvoiceNumber VARCHAR, CreditNoteNumber VARCHAR, Status VARCHAR, CreditNoteDate DATE,
        CreditNoteConversionRate DECIMAL(24,14),
        Lines STRUCT(
            ProductID VARCHAR, SKU VARCHAR, Name VARCHAR, Quantity DECIMAL(18,4), Price DECIMAL(18,4),
            Discount DECIMAL(18,4), Tax DECIMAL(18,4), Total DECIMAL(18,4)
        )[],
        AdditionalCharges STRUCT(
            Description VARCHAR, Quantity DECIMAL(18,4), Price DECIMAL(18,4), Discount DECIMAL(18,4),
            Tax DECIMAL(18,4), Total DECIMAL(18,4)
        )[],
        Refunds STRUCT(
            ID VARCHAR, Reference VARCHAR, Amount DECIMAL(18,4), DatePaid DATE, CurrencyRate DECIMAL(24,14)
        )[],
        TotalBeforeTax DECIMAL(18,4), Tax DECIMAL(18,4), Total DECIMAL(18,4)
    )[],
    _header_updated TIMESTAMP, _erased BOOLEAN
);
create table raw.credit_note_headers (
    SaleID VARCHAR, CreditNoteNumber VARCHAR, Status VARCHAR, CreditNoteStatus VARCHAR, Customer VARCHAR,
    CustomerID VARCHAR, CustomerCurrency VARCHAR, BaseCurrency VARCHAR, Updated TIMESTAMP, Type VARCHAR,
    _erased BOOLEAN
);
create table raw.credit_notes (
    SaleID VARCHAR, BaseCurrency VARCHAR, CustomerCurrency VARCHAR, CurrencyRate DECIMAL(24,14), TaxCalculation VARCHAR,
    CreditNotes STRUCT(
        TaskID VARCHAR, CreditNoteInvoiceNumber VARCHAR, CreditNoteNumber VARCHAR, Status VARCHAR, CreditNoteDate DATE,
        CreditNoteConversionRate DECIMAL(24,14),
        Lines STRUCT(
            ProductID VARCHAR, SKU VARCHAR, Name VARCHAR, Quantity DECIMAL(18,4), Price DECIMAL(18,4),
            Discount DECIMAL(18,4), Tax DECIMAL(18,4), Total DECIMAL(18,4)
        )[],
        AdditionalCharges STRUCT(
            Description VARCHAR, Quantity DECIMAL(18,4), Price DECIMAL(18,4), Discount DECIMAL(18,4),
            Tax DECIMAL(18,4), Total DECIMAL(18,4)
        )[],
        Refunds STRUCT(
            ID VARCHAR, Reference VARCHAR, Amount DECIMAL(18,4), DatePaid DATE, CurrencyRate DECIMAL(24,14)
        )[],
        TotalBeforeTax DECIMAL(18,4), Tax DECIMAL(18,4), Total DECIMAL(18,4)
    )[],
    _header_updated TIMESTAMP
);
create table raw.availability (
    snapshot_id VARCHAR, ID VARCHAR, SKU VARCHAR, Name VARCHAR, Location VARCHAR, Bin VARCHAR, Batch VARCHAR,
    ExpiryDate DATE, OnHand DECIMAL(18,4), Allocated DECIMAL(18,4), Available DECIMAL(18,4), OnOrder DECIMAL(18,4),
    InTransit DECIMAL(18,4), NextDeliveryDate DATE
);
create table raw.snapshots (
    snapshot_id VARCHAR, taken_at TIMESTAMP, finished_at TIMESTAMP, headers_scanned_at TIMESTAMP,
    unallocated_pending INTEGER, passes INTEGER, total BIGINT, rows BIGINT, unique_keys BIGINT, trusted BOOLEAN,
    reason VARCHAR, released_reason VARCHAR
);
create table raw.snapshot_untrusted_skus (snapshot_id VARCHAR, product_id VARCHAR, sku VARCHAR, reason VARCHAR);
create table raw.vanished (product_id VARCHAR, sku VARCHAR, since TIMESTAMP, free_before DECIMAL(18,4));
create table raw.second_looks (
    product_id VARCHAR, sku VARCHAR, snapshot_id VARCHAR, looked_at TIMESTAMP, trouble VARCHAR
);
create table raw.second_look_rows (
    ID VARCHAR, SKU VARCHAR, Location VARCHAR, Bin VARCHAR, Batch VARCHAR, ExpiryDate DATE, OnHand DECIMAL(18,4),
    Allocated DECIMAL(18,4)
);
create table raw.sale_queue (
    sale_id VARCHAR, updated TIMESTAMP, priority INTEGER, order_date DATE, first_scan BOOLEAN, kind VARCHAR,
    attempts INTEGER, last_error VARCHAR
);
create table raw.watermarks (entity VARCHAR, watermark TIMESTAMP, mode VARCHAR, completed_at TIMESTAMP);
create table delivery.catalogue_items (
    item VARCHAR, product_id VARCHAR, available BOOLEAN, price DECIMAL(18,4), c_stock BIGINT, c_low_stock BIGINT,
    c_stock_state VARCHAR, title VARCHAR, link VARCHAR, image VARCHAR, payload_hash VARCHAR
);
create table delivery.catalogue_collected (
    item VARCHAR, product_id VARCHAR, available BOOLEAN, price DECIMAL(18,4), c_stock BIGINT, c_low_stock BIGINT,
    c_stock_state VARCHAR, title VARCHAR, link VARCHAR, image VARCHAR
);
create table delivery.records (
    record_id BIGINT, flow VARCHAR, key VARCHAR, document VARCHAR, payload JSON, outcome VARCHAR, code VARCHAR,
    "at" TIMESTAMP, erased_at TIMESTAMP
);
create table delivery.dead_letters (
    flow VARCHAR, key VARCHAR, payload_hash VARCHAR, closed_at TIMESTAMP, closed_by VARCHAR
);
create table delivery.delivered (
    flow VARCHAR, key VARCHAR, payload_hash VARCHAR, payload JSON, accepted_at TIMESTAMP
);
create table delivery.publications (version BIGINT, published_at TIMESTAMP, collected_at TIMESTAMP);
create table delivery.catalogue_history (
    item VARCHAR, product_id VARCHAR, available BOOLEAN, price DECIMAL(18,4), c_stock BIGINT, c_low_stock BIGINT,
    c_stock_state VARCHAR, title VARCHAR, link VARCHAR, image VARCHAR, payload_hash VARCHAR, version BIGINT,
    until_version BIGINT
);
create table reconciliation.contacts_read (
    email VARCHAR, ours BOOLEAN, found BOOLEAN, code VARCHAR, opt_in VARCHAR, fields JSON, read_at TIMESTAMP,
    filled INTEGER,
    before JSON, before_at TIMESTAMP, same_since TIMESTAMP
);
create table reconciliation.catalogue_export (item VARCHAR, columns JSON, taken_at TIMESTAMP);
create table operations.aliases (
    alias VARCHAR, person VARCHAR, reason VARCHAR, who VARCHAR, written_at TIMESTAMP
);
create table operations.releases (hold_id VARCHAR, released_at TIMESTAMP, reason VARCHAR, who VARCHAR);
create table operations.exception_classes (
    class VARCHAR, level VARCHAR, title VARCHAR, means VARCHAR, owner VARCHAR, next_step VARCHAR, due_hours INTEGER,
    population BIGINT, asked_at TIMESTAMP
);
create table operations.exception_items (
    class VARCHAR, key VARCHAR, cause VARCHAR, owner VARCHAR, next_step VARCHAR, first_seen_at TIMESTAMP,
    resolved_at TIMESTAMP, reopened INTEGER
);
create table operations.exception_decisions (
    class VARCHAR, key VARCHAR, assigned_to VARCHAR, ignored_until TIMESTAMP, reason VARCHAR, who VARCHAR,
    decided_at TIMESTAMP
);
