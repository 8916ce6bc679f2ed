/**
 * Pairs of tables with the columns that belong together, as somebody who knows both would say: three lines each, the
 * source, the target and the pairs. A column is `name:type`, text where no type is given; `!` marks the key. Columns that
 * are in no pair have no counterpart, however much they look like it. The scores were tuned on these.
 */
export const TUNED = `
wp_posts ID:b! post_author:b post_date:ts post_date_gmt:ts post_content post_title post_excerpt post_status post_name post_modified:ts post_parent:b guid menu_order:i post_type post_mime_type comment_count:b
articles id:b! author_id:b published_at:tz content title excerpt status slug updated_at:tz parent_id:b
ID>id post_author>author_id post_date>published_at post_content>content post_title>title post_excerpt>excerpt post_status>status post_name>slug post_modified>updated_at post_parent>parent_id

wp_users ID:b! user_login user_pass user_nicename user_email user_url user_registered:ts user_activation_key user_status:i display_name
accounts id:b! username email password_hash website created_at:tz full_name last_login_at:tz
ID>id user_login>username user_pass>password_hash user_email>email user_url>website user_registered>created_at display_name>full_name

wp_comments comment_ID:b! comment_post_ID:b comment_author comment_author_email comment_author_IP comment_date:ts comment_content comment_approved comment_parent:b user_id:b
comments id:b! post_id:b author_name author_email body created_at:tz status parent_id:b user_id:b
comment_ID>id comment_post_ID>post_id comment_author>author_name comment_author_email>author_email comment_content>body comment_date>created_at comment_approved>status comment_parent>parent_id user_id>user_id

customers customer_id:i! first_name last_name email_address phone_number date_of_birth:d street_address city postal_code country created_on:ts
Customer id:i! firstName lastName email phone birthDate:d street city zip country createdAt:ts
customer_id>id first_name>firstName last_name>lastName email_address>email phone_number>phone date_of_birth>birthDate street_address>street city>city postal_code>zip country>country created_on>createdAt

orders id:i! customer_id:i order_number order_date:d ship_date:d total_amount:n currency status billing_address shipping_address
sales_order orderId:i! customerId:i orderNo placedAt:d shippedAt:d total:n currencyCode orderStatus billTo shipTo
id>orderId customer_id>customerId order_number>orderNo order_date>placedAt ship_date>shippedAt total_amount>total currency>currencyCode status>orderStatus billing_address>billTo shipping_address>shipTo

KNA1 KUNNR! NAME1 ORT01 PSTLZ STRAS LAND1 TELF1 ERDAT:d ERNAM LOEVM SPRAS
customers customer_number! name city postcode street country phone created_at:d created_by is_deleted language
KUNNR>customer_number NAME1>name ORT01>city PSTLZ>postcode STRAS>street LAND1>country TELF1>phone ERDAT>created_at ERNAM>created_by LOEVM>is_deleted SPRAS>language

MARA MATNR! MAKTX MEINS BRGEW:n ERDAT:d AEDAT:d MTART
products sku! description unit weight:n created_at:d updated_at:d type
MATNR>sku MAKTX>description MEINS>unit BRGEW>weight ERDAT>created_at AEDAT>updated_at

kunden kundennummer:i! vorname nachname geburtsdatum:d strasse plz ort land telefon erstellt_am:ts
customers id:i! first_name last_name birth_date:d street zip city country phone created_at:ts
kundennummer>id vorname>first_name nachname>last_name geburtsdatum>birth_date strasse>street plz>zip ort>city land>country telefon>phone erstellt_am>created_at

bestellungen bestellnummer! kunde_id:i bestelldatum:d lieferdatum:d gesamtbetrag:n waehrung status bemerkung
orders order_number! customer_id:i order_date:d delivery_date:d total:n currency status note
bestellnummer>order_number kunde_id>customer_id bestelldatum>order_date lieferdatum>delivery_date gesamtbetrag>total waehrung>currency status>status bemerkung>note

clientes id:i! nombre apellido correo telefono direccion ciudad codigo_postal pais fecha_nacimiento:d
contacts id:i! name last_name email phone address city postcode country birth_date:d
id>id nombre>name apellido>last_name correo>email telefono>phone direccion>address ciudad>city codigo_postal>postcode pais>country fecha_nacimiento>birth_date

produits id:i! nom prix:n quantite:i categorie_id:i poids:f date_creation:ts
products id:i! name price:n quantity:i category_id:i weight:f created_at:ts
id>id nom>name prix>price quantite>quantity categorie_id>category_id poids>weight date_creation>created_at

emp empno:i! ename job mgr:i hiredate:d sal:n comm:n deptno:i
employees employee_number:i! name job_title manager_id:i hired_at:d salary:n commission:n department_id:i
empno>employee_number ename>name job>job_title mgr>manager_id hiredate>hired_at sal>salary comm>commission deptno>department_id

tbl_prod prod_id:i! prod_nm prod_desc unit_prc:n qty_on_hand:i cat_id:i supp_id:i is_actv:bo lst_upd_dt:ts
product id:i! name description unit_price:n stock_quantity:i category_id:i supplier_id:i active:bo updated_at:ts
prod_id>id prod_nm>name prod_desc>description unit_prc>unit_price qty_on_hand>stock_quantity cat_id>category_id supp_id>supplier_id is_actv>active lst_upd_dt>updated_at

invoice inv_no! cust_no inv_dt:d due_dt:d amt_net:n amt_gross:n tax_amt:n curr paid:bo
invoices invoice_number! customer_number invoice_date:d due_date:d net_amount:n gross_amount:n tax_amount:n currency is_paid:bo
inv_no>invoice_number cust_no>customer_number inv_dt>invoice_date due_dt>due_date amt_net>net_amount amt_gross>gross_amount tax_amt>tax_amount curr>currency paid>is_paid

events id:u! title description starts_at:tz ends_at:tz location lat:f lng:f organizer_id:u
calendar_items uuid:u! subject body start_time:tz end_time:tz place latitude:f longitude:f organiser:u
id>uuid title>subject description>body starts_at>start_time ends_at>end_time lat>latitude lng>longitude organizer_id>organiser

users id:i! email password_hash created_at:ts updated_at:ts last_login:ts role
sensors id:i! serial firmware installed_at:ts battery:f location
id>id

app_settings key! value:j updated_at:ts
invoice_lines id:i! invoice_id:i description quantity:n price:n
-

shipments id:i! order_id:i carrier tracking_number shipped_at:ts delivered_at:ts weight:n
payments id:i! order_id:i method transaction_reference paid_at:ts refunded_at:ts amount:n
id>id order_id>order_id

prices product_id:i! min_price:n max_price:n valid_from:d valid_to:d currency
price_list product:i! maxPrice:n minPrice:n endDate:d startDate:d ccy
product_id>product min_price>minPrice max_price>maxPrice valid_from>startDate valid_to>endDate currency>ccy

wp_terms term_id:b! name slug term_group:b
categories id:b! title slug parent_id:b
term_id>id name>title slug>slug

wc_orders id:b! status currency total_amount:n customer_id:b billing_email date_created_gmt:ts date_updated_gmt:ts payment_method customer_note ip_address
orders id:b! state currency_code amount:n customer_id:b email created_at:tz updated_at:tz payment_method note ip
id>id currency>currency_code total_amount>amount customer_id>customer_id billing_email>email date_created_gmt>created_at date_updated_gmt>updated_at payment_method>payment_method customer_note>note ip_address>ip

lieferanten lieferantennummer! firma ansprechpartner e_mail ust_id iban geaendert_am:ts
suppliers supplier_number! company contact email vat_id iban updated_at:ts
lieferantennummer>supplier_number firma>company ansprechpartner>contact e_mail>email ust_id>vat_id iban>iban geaendert_am>updated_at
`
