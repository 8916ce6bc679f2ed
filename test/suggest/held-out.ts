/** As in `tuned.ts`, but written down beforehand and never looked at while the scores were tuned. */
export const HELD_OUT = `
wp_posts ID:b! post_title post_content post_excerpt post_name post_date_gmt:ts post_modified_gmt:ts post_author:b post_status
pages pageId:b! heading body summary urlSlug publishedOn:tz modifiedOn:tz writerId:b state
ID>pageId post_title>heading post_content>body post_excerpt>summary post_name>urlSlug post_date_gmt>publishedOn post_modified_gmt>modifiedOn post_author>writerId

wp_woocommerce_order_items order_item_id:b! order_item_name order_item_type order_id:b
order_lines line_id:b! name type order_id:b quantity:i
order_item_id>line_id order_item_name>name order_item_type>type order_id>order_id

wp_usermeta umeta_id:b! user_id:b meta_key meta_value
user_attributes id:b! userId:b key value
umeta_id>id user_id>userId meta_key>key meta_value>value

contacts contact_id:i! given_name surname mail mobile_no organisation job_title addr_line1 addr_line2 town post_code
Person personId:i! firstName lastName emailAddress cellPhone companyName position address1 address2 city postalCode
contact_id>personId given_name>firstName surname>lastName mail>emailAddress mobile_no>cellPhone organisation>companyName job_title>position addr_line1>address1 addr_line2>address2 town>city post_code>postalCode

VBAK VBELN! ERDAT:d ERNAM AUDAT:d NETWR:n WAERK KUNNR BSTNK
sales_orders order_number! created_at:d created_by order_date:d amount:n currency customer_number purchase_reference
VBELN>order_number ERDAT>created_at ERNAM>created_by AUDAT>order_date NETWR>amount WAERK>currency KUNNR>customer_number BSTNK>purchase_reference

LFA1 LIFNR! NAME1 ORT01 PSTLZ LAND1 TELF1 TELFX STCD1
vendors vendor_no! company_name town zip_code country telephone fax tax_number
LIFNR>vendor_no NAME1>company_name ORT01>town PSTLZ>zip_code LAND1>country TELF1>telephone TELFX>fax STCD1>tax_number

artikel artikelnummer! bezeichnung beschreibung preis:n mwst_satz:n lagerbestand:i gewicht:n kategorie hersteller aktiv:bo
products sku! name description price:n vat_rate:n stock:i weight:n category brand is_active:bo
artikelnummer>sku bezeichnung>name beschreibung>description preis>price mwst_satz>vat_rate lagerbestand>stock gewicht>weight kategorie>category hersteller>brand aktiv>is_active

rechnungen rechnungsnummer! rechnungsdatum:d faelligkeitsdatum:d kundennummer netto:n brutto:n steuer:n bezahlt_am:d
invoices invoice_no! invoice_date:d due_date:d customer_no net_total:n gross_total:n tax:n paid_at:d
rechnungsnummer>invoice_no rechnungsdatum>invoice_date faelligkeitsdatum>due_date kundennummer>customer_no netto>net_total brutto>gross_total steuer>tax bezahlt_am>paid_at

pedidos numero_pedido! cliente_id:i fecha_pedido:d fecha_envio:d importe_total:n moneda estado observaciones
orders order_no! customer_id:i ordered_at:d shipped_at:d total_amount:n currency status notes
numero_pedido>order_no cliente_id>customer_id fecha_pedido>ordered_at fecha_envio>shipped_at importe_total>total_amount moneda>currency estado>status observaciones>notes

utilisateurs id:i! prenom nom_de_famille courriel telephone mot_de_passe adresse ville code_postal date_creation:ts actif:bo
users id:i! first_name last_name email phone password address city postcode created_at:ts is_active:bo
id>id prenom>first_name nom_de_famille>last_name courriel>email telephone>phone mot_de_passe>password adresse>address ville>city code_postal>postcode date_creation>created_at actif>is_active

empl_mstr empl_id:i! fst_nm lst_nm dob:d sex hire_dt:d term_dt:d dept_cd mgr_id:i sal_amt:n
employees id:i! first_name last_name birth_date:d gender hire_date:d termination_date:d department_code manager_id:i salary:n
empl_id>id fst_nm>first_name lst_nm>last_name dob>birth_date sex>gender hire_dt>hire_date term_dt>termination_date dept_cd>department_code mgr_id>manager_id sal_amt>salary

inv_trans trans_id:i! itm_cd whse_cd trans_dt:d trans_qty:n uom unit_cst:n ref_no usr_id:i
inventory_transactions id:i! item_code warehouse_code transaction_date:d quantity:n unit_of_measure unit_cost:n reference_number user_id:i
trans_id>id itm_cd>item_code whse_cd>warehouse_code trans_dt>transaction_date trans_qty>quantity uom>unit_of_measure unit_cst>unit_cost ref_no>reference_number usr_id>user_id

tickets id:i! subject description priority assignee_id:i reporter_id:i opened_at:tz closed_at:tz due_on:d
Issue issueId:i! title body severity assignedTo:i createdBy:i createdAt:tz resolvedAt:tz dueDate:d
id>issueId subject>title description>body assignee_id>assignedTo reporter_id>createdBy opened_at>createdAt closed_at>resolvedAt due_on>dueDate

subscriptions id:u! user_id:u plan_code starts_on:d ends_on:d auto_renew:bo monthly_price:n
memberships uuid:u! memberId:u plan startDate:d endDate:d autoRenewal:bo pricePerMonth:n
id>uuid user_id>memberId plan_code>plan starts_on>startDate ends_on>endDate auto_renew>autoRenewal monthly_price>pricePerMonth

films film_id:i! title release_year:i language_id:i length:i rating rental_rate:n last_update:ts
movie id:i! name releaseYear:i languageId:i durationMinutes:i ageRating rentalPrice:n updatedAt:ts
film_id>id title>name release_year>releaseYear language_id>languageId length>durationMinutes rating>ageRating rental_rate>rentalPrice last_update>updatedAt

audit_log id:b! actor_id:i action object_type object_id:i happened_at:tz ip
weather_readings id:b! station_id:i temperature:f humidity:f wind_speed:f measured_at:tz
id>id

coupons code! percent_off:n max_uses:i expires_at:tz active:bo
countries iso_code! name population:b currency continent
-

addresses id:i! billing_street billing_city billing_zip shipping_street shipping_city shipping_zip
customer_addresses id:i! shipStreet shipCity shipPostcode billStreet billCity billPostcode
id>id billing_street>billStreet billing_city>billCity billing_zip>billPostcode shipping_street>shipStreet shipping_city>shipCity shipping_zip>shipPostcode

messages id:b! sender_id:b recipient_id:b subject body sent_at:tz read_at:tz
mails id:b! from_user:b to_user:b title content sentAt:tz readAt:tz
id>id sender_id>from_user recipient_id>to_user subject>title body>content sent_at>sentAt read_at>readAt

ps_product id_product:i! id_manufacturer:i id_category_default:i quantity:i price:n reference ean13 active:bo date_add:ts date_upd:ts
products id:i! brand_id:i category_id:i stock:i price:n sku barcode is_active:bo created_at:ts updated_at:ts
id_product>id id_manufacturer>brand_id id_category_default>category_id quantity>stock price>price reference>sku ean13>barcode active>is_active date_add>created_at date_upd>updated_at

students stud_no! fname lname dob:d enrol_dt:d gpa:n major_cd advisor_id:i
Student studentNumber! firstName lastName birthday:d enrollmentDate:d gradePointAverage:n majorCode advisorId:i
stud_no>studentNumber fname>firstName lname>lastName dob>birthday enrol_dt>enrollmentDate gpa>gradePointAverage major_cd>majorCode advisor_id>advisorId
`
