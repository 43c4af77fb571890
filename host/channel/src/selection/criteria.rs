//! The statements that find who is chosen, one a criterion, and what the chosen are known by elsewhere.
//!
//! * Each answers one column of keys (the last two of each domain: a few), at most @P1 of them.
//! * Sold goods are negative in AX: the smallest sum is the most that was sold. Voided lines and transactions that are no
//!   sale do not count.
//! * Keys come in as JSON arrays and are sought; the comparison's collation is the database's.

/// @P1 how many, @P2 store, @P3 first day.
pub(crate) const SOLD_AMOUNT_SQL: &str = "\
SELECT TOP (@P1) s.[ITEMID] AS [k] FROM [ax].[RETAILTRANSACTIONSALESTRANS] AS s WHERE s.[STORE] = @P2 AND s.[TRANSDATE] >= CAST(@P3 AS date) AND s.[TRANSACTIONSTATUS] = 0 AND s.[ITEMID] <> N'' GROUP BY s.[ITEMID] HAVING SUM(s.[NETAMOUNT]) < 0 ORDER BY SUM(s.[NETAMOUNT]), s.[ITEMID];
";

/// @P1 how many, @P2 store, @P3 first day.
pub(crate) const SOLD_QUANTITY_SQL: &str = "\
SELECT TOP (@P1) s.[ITEMID] AS [k] FROM [ax].[RETAILTRANSACTIONSALESTRANS] AS s WHERE s.[STORE] = @P2 AND s.[TRANSDATE] >= CAST(@P3 AS date) AND s.[TRANSACTIONSTATUS] = 0 AND s.[ITEMID] <> N'' GROUP BY s.[ITEMID] HAVING SUM(s.[QTY]) < 0 ORDER BY SUM(s.[QTY]), s.[ITEMID];
";

/// @P1 how many. AX gives record numbers upwards.
pub(crate) const NEWEST_SQL: &str = "\
SELECT TOP (@P1) i.[ITEMID] AS [k] FROM [ax].[INVENTTABLE] AS i ORDER BY i.[RECID] DESC;
";

/// @P1 at most, @P2 name or code.
pub(crate) const CATEGORY_SQL: &str = "\
SELECT TOP (@P1) c.[RECID] AS [k] FROM [ax].[ECORESCATEGORY] AS c WHERE c.[NAME] = @P2 OR c.[CODE] = @P2;
";

/// @P1 at most, @P2 categories as JSON: those directly below.
pub(crate) const CATEGORIES_BELOW_SQL: &str = "\
SELECT DISTINCT TOP (@P1) c.[RECID] AS [k] FROM OPENJSON(@P2) WITH ([k] bigint N'$') AS j INNER JOIN [ax].[ECORESCATEGORY] AS c ON c.[PARENTCATEGORY] = j.[k];
";

/// @P1 at most, @P2 categories as JSON.
pub(crate) const CATEGORY_ITEMS_SQL: &str = "\
SELECT DISTINCT TOP (@P1) i.[ITEMID] AS [k] FROM OPENJSON(@P2) WITH ([k] bigint N'$') AS j INNER JOIN [ax].[ECORESPRODUCTCATEGORY] AS p ON p.[CATEGORY] = j.[k] INNER JOIN [ax].[INVENTTABLE] AS i ON i.[PRODUCT] = p.[PRODUCT];
";

/// @P1 at most. What a till sells gift cards by.
pub(crate) const GIFT_CARD_ITEM_SQL: &str = "\
SELECT DISTINCT TOP (@P1) p.[GIFTCARDITEM] AS [k] FROM [ax].[RETAILPARAMETERS] AS p WHERE p.[GIFTCARDITEM] <> N'';
";

/// @P1 at most, @P2 items as JSON: what is sold together with them (deposits).
pub(crate) const LINKED_ITEMS_SQL: &str = "\
SELECT DISTINCT TOP (@P1) l.[LINKEDITEMID] AS [k] FROM OPENJSON(@P2) WITH ([k] nvarchar(128) N'$') AS j INNER JOIN [ax].[RETAILINVENTLINKEDITEM] AS l ON l.[ITEMID] = j.[k] COLLATE DATABASE_DEFAULT;
";

/// @P1 at most, @P2 items as JSON. Answers how the channel itself writes them, with their records.
pub(crate) const ITEMS_SQL: &str = "\
SELECT TOP (@P1) i.[ITEMID] AS [k], i.[RECID] AS [record], i.[PRODUCT] AS [product] FROM OPENJSON(@P2) WITH ([k] nvarchar(128) N'$') AS j INNER JOIN [ax].[INVENTTABLE] AS i ON i.[ITEMID] = j.[k] COLLATE DATABASE_DEFAULT;
";

/// @P1 at most, @P2 products as JSON: their variants.
pub(crate) const VARIANTS_SQL: &str = "\
SELECT DISTINCT TOP (@P1) v.[RECID] AS [k] FROM OPENJSON(@P2) WITH ([k] bigint N'$') AS j INNER JOIN [ax].[ECORESDISTINCTPRODUCTVARIANT] AS v ON v.[PRODUCTMASTER] = j.[k];
";

/// @P1 how many, @P2 store, @P3 first day. Sales, customer orders and invoices that were neither voided nor training.
pub(crate) const BEST_BY_SALES_SQL: &str = "\
SELECT TOP (@P1) h.[CUSTACCOUNT] AS [k] FROM [ax].[RETAILTRANSACTIONTABLE] AS h WHERE h.[STORE] = @P2 AND h.[TRANSDATE] >= CAST(@P3 AS date) AND h.[TYPE] IN (2, 14, 15) AND h.[ENTRYSTATUS] IN (0, 2, 3) AND h.[CUSTACCOUNT] <> N'' GROUP BY h.[CUSTACCOUNT] HAVING SUM(h.[GROSSAMOUNT]) < 0 ORDER BY SUM(h.[GROSSAMOUNT]), h.[CUSTACCOUNT];
";

/// @P1 how many, @P2 store, @P3 first day.
pub(crate) const BEST_BY_VISITS_SQL: &str = "\
SELECT TOP (@P1) h.[CUSTACCOUNT] AS [k] FROM [ax].[RETAILTRANSACTIONTABLE] AS h WHERE h.[STORE] = @P2 AND h.[TRANSDATE] >= CAST(@P3 AS date) AND h.[TYPE] IN (2, 14, 15) AND h.[ENTRYSTATUS] IN (0, 2, 3) AND h.[CUSTACCOUNT] <> N'' GROUP BY h.[CUSTACCOUNT] ORDER BY COUNT(*) DESC, h.[CUSTACCOUNT];
";

/// @P1 at most, @P2 store. ADDRESSBOOKTYPE 0 is an address book of customers.
pub(crate) const ADDRESS_BOOK_SQL: &str = "\
SELECT DISTINCT TOP (@P1) c.[ACCOUNTNUM] AS [k] FROM [ax].[RETAILSTORETABLE] AS s INNER JOIN [ax].[RETAILSTOREADDRESSBOOK] AS b ON b.[STORERECID] = s.[RECID] AND b.[ADDRESSBOOKTYPE] = 0 INNER JOIN [ax].[DIRADDRESSBOOKPARTY] AS p ON p.[ADDRESSBOOK] = b.[ADDRESSBOOK] INNER JOIN [ax].[CUSTTABLE] AS c ON c.[PARTY] = p.[PARTY] WHERE s.[STORENUMBER] = @P2;
";

/// @P1 at most, @P2 store.
pub(crate) const WAREHOUSE_SQL: &str = "\
SELECT TOP (@P1) c.[ACCOUNTNUM] AS [k] FROM [ax].[CUSTTABLE] AS c WHERE c.[INVENTLOCATION] = N'' OR c.[INVENTLOCATION] IN (SELECT h.[INVENTLOCATION] FROM [ax].[RETAILSTORETABLE] AS s INNER JOIN [ax].[RETAILCHANNELTABLE] AS h ON h.[RECID] = s.[RECID] WHERE s.[STORENUMBER] = @P2);
";

/// @P1 at most. Whom a sale without a customer is booked on.
pub(crate) const DEFAULT_ACCOUNTS_SQL: &str = "\
SELECT DISTINCT TOP (@P1) h.[DEFAULTCUSTACCOUNT] AS [k] FROM [ax].[RETAILCHANNELTABLE] AS h WHERE h.[DEFAULTCUSTACCOUNT] <> N'';
";

/// @P1 at most, @P2 accounts as JSON. Answers how the channel itself writes them, with their parties.
pub(crate) const ACCOUNTS_SQL: &str = "\
SELECT TOP (@P1) c.[ACCOUNTNUM] AS [k], c.[PARTY] AS [party] FROM OPENJSON(@P2) WITH ([k] nvarchar(128) N'$') AS j INNER JOIN [ax].[CUSTTABLE] AS c ON c.[ACCOUNTNUM] = j.[k] COLLATE DATABASE_DEFAULT;
";

/// @P1 at most. Staff, companies and organizations: parties that no customer is.
pub(crate) const OTHER_PARTIES_SQL: &str = "\
SELECT TOP (@P1) p.[RECID] AS [k] FROM [ax].[DIRPARTYTABLE] AS p WHERE NOT EXISTS (SELECT 1 FROM [ax].[CUSTTABLE] AS c WHERE c.[PARTY] = p.[RECID]);
";

/// @P1 at most, @P2 parties as JSON: their locations.
pub(crate) const LOCATIONS_SQL: &str = "\
SELECT DISTINCT TOP (@P1) l.[LOCATION] AS [k] FROM OPENJSON(@P2) WITH ([k] bigint N'$') AS j INNER JOIN [ax].[DIRPARTYLOCATION] AS l ON l.[PARTY] = j.[k];
";

/// @P1 at most. Locations of warehouses and the like: of no party.
pub(crate) const OTHER_LOCATIONS_SQL: &str = "\
SELECT TOP (@P1) l.[RECID] AS [k] FROM [ax].[LOGISTICSLOCATION] AS l WHERE NOT EXISTS (SELECT 1 FROM [ax].[DIRPARTYLOCATION] AS p WHERE p.[LOCATION] = l.[RECID]);
";

/// @P1 at most, @P2 parties as JSON.
pub(crate) const PARTY_LOCATIONS_SQL: &str = "\
SELECT DISTINCT TOP (@P1) l.[RECID] AS [k] FROM OPENJSON(@P2) WITH ([k] bigint N'$') AS j INNER JOIN [ax].[DIRPARTYLOCATION] AS l ON l.[PARTY] = j.[k];
";

/// @P1 at most, @P2 parties as JSON: their loyalty cards, and those of nobody.
pub(crate) const CARDS_SQL: &str = "\
SELECT DISTINCT TOP (@P1) c.[RECID] AS [k] FROM [ax].[RETAILLOYALTYCARD] AS c WHERE c.[PARTY] = 0 OR c.[PARTY] IN (SELECT j.[k] FROM OPENJSON(@P2) WITH ([k] bigint N'$') AS j);
";

/// A plain batch: all criteria are of one moment.
pub(crate) const CHOICE_BEGIN_SQL: &str =
    "SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nBEGIN TRANSACTION;\n";

/// A plain batch.
pub(crate) const CHOICE_END_SQL: &str =
    "COMMIT TRANSACTION;\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED;\n";
